# A server as it comes from a hoster: Debian with systemd. The packages of the README's first step are here
# already so that a drill does not fetch them each time; nothing of ours is.
ARG DEBIAN=trixie
FROM debian:${DEBIAN}-slim
ARG DOCKER
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
	systemd-sysv dbus libpam-systemd procps iproute2 openssl util-linux \
	${DOCKER} iptables postgresql git curl caddy
# The container's /proc/sys is not this container's to change.
RUN mkdir -p /etc/systemd/system/docker.service.d && printf '[Service]\nEnvironment=DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE=1\n' \
	>/etc/systemd/system/docker.service.d/drill.conf
CMD ["/sbin/init"]
