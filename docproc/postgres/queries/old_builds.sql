-- A claim to build an index counts for a minute: an older one is of a process that died, or has served.
SELECT name FROM docproc.index_builds WHERE claimed_at < clock_timestamp() - make_interval(secs => %(seconds)s)
