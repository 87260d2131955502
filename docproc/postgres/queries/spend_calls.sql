SELECT * FROM docproc.spend_by_call
 WHERE started_at >= coalesce(%(since)s::timestamptz, '-infinity')
 ORDER BY started_at, call_id
