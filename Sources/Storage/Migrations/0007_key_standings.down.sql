drop function needletail_key_standings(uuid[], uuid[], bigint[]);
