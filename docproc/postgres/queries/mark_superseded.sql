WITH found AS MATERIALIZED (
  SELECT j.job_id, f.since
    FROM unnest(%(job_ids)s::uuid[], %(since)s::timestamptz[]) AS f (job_id, since)
    JOIN docproc.upload_jobs j ON j.job_id = f.job_id
   WHERE j.is_final AND j.claimed_by IS NULL AND j.superseded_at IS DISTINCT FROM f.since
   ORDER BY j.job_id
     FOR NO KEY UPDATE OF j SKIP LOCKED
)
UPDATE docproc.upload_jobs j SET superseded_at = found.since FROM found WHERE j.job_id = found.job_id
