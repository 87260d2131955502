SELECT at, from_status, to_status, seconds, worker, attempt, code, note
  FROM docproc.job_events WHERE job_id = %(job_id)s ORDER BY event_id
