/*
 * notify.h: tells the service manager how the daemon is doing (sd_notify(3)), without its library.
 */
#ifndef FRANK_BROKER_MAIN_NOTIFY_H
#define FRANK_BROKER_MAIN_NOTIFY_H

/* Takes NOTIFY_SOCKET out of the environment. Without one, the functions do nothing. */
void notify_open(void);

/* `state`: lines such as "READY=1". Never blocks for long; a failure is nobody's business. */
void notify_send(const char *state);

/* RELOADING=1 with the clock that systemd asks for beside it. */
void notify_reloading(void);

#endif
