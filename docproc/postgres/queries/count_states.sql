SELECT status, count(*) AS jobs, extract(epoch FROM clock_timestamp() - min(state_since))::float8 AS oldest,
       count(*) FILTER (WHERE claimed_by IS NOT NULL) AS claimed,
       extract(epoch FROM min(run_at) FILTER (WHERE claimed_by IS NULL AND run_at > clock_timestamp())
         - clock_timestamp())::float8 AS next_due
  FROM docproc.upload_jobs GROUP BY status
