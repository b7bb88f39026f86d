/* What the program can be asked to do besides serving. Each returns the process's exit code. */
#ifndef OPS_CORE_APP_COMMANDS_H
#define OPS_CORE_APP_COMMANDS_H

/* Reads a password (twice from a terminal, one line otherwise) and prints its AUTH_PASSWORD_HASH
 * line. */
int command_passwd(void);
/* Reads the configuration and says what is wrong with it. */
int command_check(char *const envp[]);
/* Brings the database's schema up to date. */
int command_migrate(char *const envp[]);
/* Asks /healthz of the daemon at LISTEN: 0 when it answers 200. */
int command_healthcheck(char *const envp[]);

#endif
