# A Debian with systemd for ./dev drill units: what the agent is linked with and what its runs are made of.
ARG BASE
FROM ${BASE}
ARG PACKAGES
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
	systemd-sysv dbus procps git python3-minimal openssh-server openssh-client ${PACKAGES}
CMD ["/sbin/init"]
