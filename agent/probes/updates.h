/* What `apt-get --simulate` would install. Pure. */
#ifndef OPS_AGENT_PROBES_UPDATES_H
#define OPS_AGENT_PROBES_UPDATES_H

struct updates {
	unsigned pending;  /* packages that are installed in an older version */
	unsigned security; /* of those, from a security archive */
};

/* Lines "Inst name [old] (new Origin:release [arch])"; others are ignored. */
void updates_parse(const char *text, struct updates *ret_updates);

#endif
