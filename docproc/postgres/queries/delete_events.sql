DELETE FROM docproc.job_events WHERE event_id = ANY (%(event_ids)s::bigint[])
