UPDATE docproc.upload_jobs j
   SET lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
  FROM unnest(%(job_ids)s::uuid[], %(fences)s::bigint[]) AS held (job_id, fence)
 WHERE j.job_id = held.job_id AND j.fence = held.fence AND j.claimed_by = %(owner)s
RETURNING j.job_id
