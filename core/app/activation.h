/* What systemd gives and is told: sockets (LISTEN_FDS), READY, WATCHDOG, STOPPING. All of it does
 * nothing where there is no systemd. */
#ifndef OPS_CORE_APP_ACTIVATION_H
#define OPS_CORE_APP_ACTIVATION_H

#include <uv.h>

#include "core/web/server.h"

/* Takes the sockets that were passed on, which must be listening TCP sockets. Returns how many, or
 * a negative error with a text. */
MUSTCHECK int activation_listen(struct web_server *web, struct err *err);

void activation_tell_ready(void);
void activation_tell_reloading(void); /* then ready again */
void activation_tell_stopping(void);

/* Sends WATCHDOG=1 at half the interval that systemd asks for, from the loop: a loop that hangs is
 * restarted. The timer does not keep the loop alive; close it like any other. */
void activation_watch(uv_loop_t *loop, uv_timer_t *timer);

#endif
