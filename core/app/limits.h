/*
 * Every maximum and every wait of the dashboard's own logic. Those of the modules below stand in
 * their headers (web, db, agentlink).
 */
#ifndef OPS_CORE_APP_LIMITS_H
#define OPS_CORE_APP_LIMITS_H

#define LIMIT_CONFIG_VALUE_BYTES 4096 /* of one variable */
#define LIMIT_ENV_FILE_BYTES 65536
#define LIMIT_TRUSTED_PROXIES 16

/* Sign-in */
#define LIMIT_PASSWORD_BYTES 512
#define LIMIT_USER_BYTES 64
#define LIMIT_HASHES_AT_ONCE 2
#define LIMIT_HASHES_WAITING 4	   /* more sign-ins than that at a time: 429 */
#define LIMIT_LOGIN_DELAY_S 30	   /* the longest wait after failures */
#define LIMIT_LOGIN_ADDRESSES 1024 /* remembered; the one that failed longest ago goes first */
#define LIMIT_LOGIN_FORGET_S 3600  /* failures are forgotten after this long without another */

/* Sessions */
#define LIMIT_SESSION_IDLE_S (12 * 3600)
#define LIMIT_SESSION_AGE_S (7 * 24 * 3600)
#define LIMIT_SESSION_REFRESH_S 300 /* how stale the cookie's "last seen" may get */
#define LIMIT_DEVICE_AGE_S (180 * 24 * 3600)
#define LIMIT_REAUTH_S 300
#define LIMIT_SESSIONS 256 /* remembered in memory; the one idle longest goes first */
#define LIMIT_REVOKED 4096 /* revoked session ids kept until they would have expired */

/* Requests */
#define LIMIT_BODY_BYTES 65536
#define LIMIT_JSON_DEPTH 8
#define LIMIT_HOOK_BODY_BYTES (256u << 10) /* of a call of a hook, which anybody may send */
#define LIMIT_RUN_LIST 200
#define LIMIT_AGENT_CALL_MS 10000
#define LIMIT_LOG_PAGE_BYTES (1u << 20) /* of records in one answer with `limit` */

#define LIMIT_GZIPPED 16 /* logs compressed at a time; more are sent as they are */
#define LIMIT_SEARCHES 4 /* of logs at a time; more: 429 */
#define LIMIT_SEARCH_HELD_BYTES (4u << 20) /* of one log, fetched and not looked at */
#define LIMIT_SEARCH_MATCHES 100000	   /* told by one search */
#define LIMIT_SEARCH_DEFAULT 1000
#define LIMIT_SEARCH_CONTEXT 2 /* lines before and behind, when not asked otherwise */

/* Several agents. Each has besides: a connection (LINK_MAX_OPS calls, LINK_MAX_QUEUE bytes), its
 * archiver (ARCHIVER_MAX_JOBS runs at once, ARCHIVER_MAX_TRACKED known), SAMPLES_MAX_HELD moments.
 */
#define LIMIT_HOSTS 16
#define LIMIT_HOST_BYTES 65	   /* of a host's name, with its NUL */
#define LIMIT_HOST_RUNS 4096	   /* runs whose host is remembered; others are looked up again */
#define LIMIT_HOSTS_CALL_MS 2000   /* that all are waited for in what asks each of several … */
#define LIMIT_HOSTS_SLOW_MS 200	   /* … and one that did not answer in that time, for … */
#define LIMIT_HOSTS_ALONE_MS 10000 /* that who alone has a run is believed without PostgreSQL */
#define LIMIT_HOSTS_SLOW_FOR_MS 15000 /* … so long: then it is away, or waited for again */

/* Live */
#define LIMIT_CONNECTIONS 16384	       /* fewer where there are not as many descriptors */
#define LIMIT_SPARE_FDS 128	       /* descriptors that are not for connections */
#define LIMIT_SOCKETS_PER_SESSION 1024 /* one person's tabs, or a test of many viewers */
#define LIMIT_SOCKETS 12000	       /* 8 KB each while idle; all queues: WEB_MAX_QUEUED */
#define LIMIT_TOLD_RUNS 64	       /* whose last told status is kept */
#define LIMIT_SUBSCRIPTIONS 64	       /* of one socket */
#define LIMIT_LOG_SUBSCRIPTIONS                                                                    \
	6 /* of them logs: their windows together fit the socket's queue                           \
	   */
#define LIMIT_TAIL_BACKLOG_LINES 1000	      /* that a tail begins before its end */
#define LIMIT_LOG_WINDOW_BYTES (512 << 10)    /* that a log's source may send ahead */
#define LIMIT_LOG_FEEDS 192		      /* sources of watched logs; further viewers wait */
#define LIMIT_LOG_SHARED_BYTES (1u << 20)     /* kept of a log that several watch */
#define LIMIT_LOG_HELD_BYTES (64u << 20)      /* of all logs; above, who is ahead waits */
#define LIMIT_HELD_BYTES (1u << 20)	      /* changes held while a snapshot is fetched */
#define LIMIT_MESSAGE_BYTES 4096	      /* of one text message from a client */
#define LIMIT_BAD_MESSAGES 16		      /* then the socket is closed with 1008 */
#define LIMIT_SOCKET_QUEUE_BYTES (512u << 10) /* credit is withheld above this */
#define LIMIT_CREDIT_BYTES (16u << 20)	      /* the most a client may have outstanding */
#define LIMIT_CATCHING_UP_BYTES (32u << 20)   /* behind by more, pages say so */
#define LIMIT_RUNS_SNAPSHOT 50		      /* runs in the snapshot of the topic `runs` */

/* Notifications (those of a rule and a target: notify.h) */
#define LIMIT_NOTIFY_HELD 1024 /* events kept for all of them together, about 2 KiB each */

/* Ending */
#define LIMIT_SHUTDOWN_MS 4000

#endif
