-- suits: 0.1.0
-- A token's name stands for it in actors, so it belongs to one token at a time.
CREATE UNIQUE INDEX api_tokens_name ON ops.api_tokens (name) WHERE revoked_us IS NULL;
