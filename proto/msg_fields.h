/*
 * The fields of each message, in the order of the wire. F(type, name) is any value of the wire
 * type, R(type, name, min, max) one within bounds. Encoder and decoder of a message are both made
 * from its line here, so they cannot disagree; the tests read theirs from here as well. Messages
 * with a list or with an open end (request, response, problems, run_start, chunk) are coded by hand
 * in msg.c.
 */
#ifndef OPS_PROTO_MSG_FIELDS_H
#define OPS_PROTO_MSG_FIELDS_H

#include "proto/msg.h"

#define FIELDS_hello(F, R) F(u16, version) F(str, client)
#define FIELDS_hello_reply(F, R)                                                                   \
	F(u16, version)                                                                            \
	F(str, agent_version)                                                                      \
	F(str, agent_id)                                                                           \
	F(str, host)                                                                               \
	F(str, config_digest)                                                                      \
	F(u64, started_us)                                                                         \
	F(u64, ledger_position)                                                                    \
	F(u32, max_payload)                                                                        \
	F(u32, initial_credit)                                                                     \
	F(u32, max_streams)
#define FIELDS_document(F, R) F(str, json)
#define FIELDS_run_start_reply(F, R) R(u8, created, 0, 1) F(str, json)
#define FIELDS_run_ref(F, R) F(str, run)
#define FIELDS_run_list(F, R)                                                                      \
	R(u8, filter, MSG_LIST_ALL, MSG_LIST_UNRELEASED)                                           \
	R(u16, limit, 1, MSG_MAX_LIST)                                                             \
	F(str, before)
#define FIELDS_run_list_reply(F, R) F(str, json) F(str, next)
#define FIELDS_run_tail(F, R) F(str, run) F(u64, offset)
#define FIELDS_run_tail_reply(F, R) F(u64, offset) F(u64, size) F(str, json)
#define FIELDS_run_cancel(F, R) F(str, run) F(str, actor) F(str, reason)
#define FIELDS_run_approve(F, R)                                                                   \
	F(str, run)                                                                                \
	F(str, step)                                                                               \
	R(u8, approve, 0, 1)                                                                       \
	F(str, actor)                                                                              \
	F(str, comment)
#define FIELDS_run_locate(F, R)                                                                    \
	F(str, run)                                                                                \
	R(u8, kind, MSG_LOCATE_LINE, MSG_LOCATE_BEFORE_END)                                        \
	F(u64, value)
#define FIELDS_run_locate_reply(F, R) F(u64, offset) F(u64, line) F(u64, time_us)
#define FIELDS_run_release(F, R) F(str, run) F(str, digest)
#define FIELDS_events(F, R) F(u64, position)
#define FIELDS_events_reply(F, R) F(u64, position)
#define FIELDS_status_watch(F, R) F(u32, interval_ms)
#define FIELDS_reload(F, R) F(str, actor)
#define FIELDS_reload_reply(F, R) F(str, config_digest)
#define FIELDS_tail_open(F, R)                                                                     \
	R(u8, kind, MSG_TAIL_DOCKER, MSG_TAIL_UNIT)                                                \
	F(str, name)                                                                               \
	F(u32, backlog_lines)
#define FIELDS_schedule_pause(F, R)                                                                \
	F(str, flow)                                                                               \
	R(u8, pause, 0, 1)                                                                         \
	F(str, actor)                                                                              \
	F(str, reason)
#define FIELDS_maintenance(F, R) R(u8, on, 0, 1) F(str, actor) F(str, reason)
#define FIELDS_run_cancel_all(F, R) F(str, actor) F(str, reason)
#define FIELDS_run_cancel_all_reply(F, R) F(u32, n_runs)
#define FIELDS_secret_rotate(F, R) F(str, actor) F(u32, grace_s)
#define FIELDS_secret_rotate_reply(F, R) F(u64, old_valid_until_us)
#define FIELDS_run_stop(F, R) F(str, run) R(u8, kill, 0, 1) F(str, actor) F(str, reason)
#define FIELDS_end(F, R) F(u64, offset) F(u16, reason)
#define FIELDS_credit(F, R) F(u32, bytes)
#define FIELDS_goaway(F, R) F(u16, code) F(str, message)

/* The messages above: X(name) each. */
#define MSG_EACH_PLAIN(X)                                                                          \
	X(hello)                                                                                   \
	X(hello_reply)                                                                             \
	X(document)                                                                                \
	X(run_start_reply)                                                                         \
	X(run_ref)                                                                                 \
	X(run_list)                                                                                \
	X(run_list_reply)                                                                          \
	X(run_tail)                                                                                \
	X(run_tail_reply)                                                                          \
	X(run_cancel)                                                                              \
	X(run_approve)                                                                             \
	X(run_locate)                                                                              \
	X(run_locate_reply)                                                                        \
	X(run_release)                                                                             \
	X(events)                                                                                  \
	X(events_reply)                                                                            \
	X(status_watch)                                                                            \
	X(reload)                                                                                  \
	X(reload_reply)                                                                            \
	X(tail_open)                                                                               \
	X(schedule_pause)                                                                          \
	X(maintenance)                                                                             \
	X(run_cancel_all)                                                                          \
	X(run_cancel_all_reply)                                                                    \
	X(secret_rotate)                                                                           \
	X(secret_rotate_reply)                                                                     \
	X(end)                                                                                     \
	X(credit)                                                                                  \
	X(goaway)                                                                                  \
	X(run_stop)

#endif
