/* Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC */
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

/*
 * How often to look at the roles, and to say notify_alive: every 20 s, more often where the service
 * manager wants to hear of us (WATCHDOG_USEC, sd_watchdog_enabled(3)). Valid after notify_open.
 */
unsigned notify_watch_ms(void);
/* The manager's watchdog, if it has one. */
void notify_alive(void);

#endif
