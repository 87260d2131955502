-- How long ago a run ended well, and the oldest work that is due.
SELECT (SELECT extract(epoch FROM clock_timestamp() - max(finished_at))::float8 FROM docproc.runs WHERE exit_code = 0)
         AS well_ago,
       (SELECT count(*) FROM docproc.upload_jobs WHERE NOT is_final AND claimed_by IS NULL AND run_at <= clock_timestamp())
         AS due,
       (SELECT extract(epoch FROM clock_timestamp() - min(run_at))::float8 FROM docproc.upload_jobs
         WHERE NOT is_final AND claimed_by IS NULL) AS due_since
