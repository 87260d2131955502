UPDATE docproc.upload_jobs j
   SET claimed_by = NULL, lease_until = NULL, attempt = greatest(j.attempt - 1, 0)
  FROM unnest(%(job_ids)s::uuid[], %(fences)s::bigint[]) AS held (job_id, fence)
 WHERE j.job_id = held.job_id AND j.fence = held.fence AND j.claimed_by = %(owner)s
