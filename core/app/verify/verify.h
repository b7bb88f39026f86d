/*
 * `ops-dashboard verify` and `ops-dashboard rebuild`: every run's rows in ops.run_log, read back
 * and checked: no hole, nothing twice, each record's checksum, the digest. PostgreSQL's own
 * checksums see a damaged page but not one that became zeros: rows are just gone then.
 */
#ifndef OPS_CORE_APP_VERIFY_VERIFY_H
#define OPS_CORE_APP_VERIFY_VERIFY_H

/* Prints what is wrong and puts right what the agent still has. 0: all is well (again); 1:
 * something stays damaged; 69: no database; 78: configuration. */
int command_verify(char *const envp[]);
/* Makes ops.run_steps and the ends of ops.runs again out of the records, and rows of ops.runs that
 * are missing. The same exit codes. */
int command_rebuild(char *const envp[]);

#endif
