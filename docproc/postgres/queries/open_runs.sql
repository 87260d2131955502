-- A run leaves a trace with every claim that it renews and with every job that it moves.
SELECT r.run_id, r.worker,
       r.started_at < clock_timestamp() - make_interval(secs => %(silent)s)
         AND NOT EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.claimed_by = r.worker)
         AND NOT EXISTS (SELECT FROM docproc.job_events e
                          WHERE e.at > clock_timestamp() - make_interval(secs => %(silent)s) AND e.worker = r.worker)
         AS silent
  FROM docproc.runs r
 WHERE r.finished_at IS NULL AND r.run_id <> %(run_id)s
