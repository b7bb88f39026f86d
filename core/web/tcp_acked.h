/* How far a TCP peer has come. Apart from the rest because <linux/tcp.h>, which alone has this
 * field, does not go together with <uv.h>. */
#ifndef OPS_CORE_WEB_TCP_ACKED_H
#define OPS_CORE_WEB_TCP_ACKED_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that the peer's kernel has acknowledged since the connection began; 0 when unknown. */
uint64_t tcp_acked(int fd);
/* Bytes that the kernel has taken and the peer has not acknowledged; 0 where it cannot be known. */
size_t tcp_unacked(int fd);

#endif
