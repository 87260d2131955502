-- The documents that are asked for, the latest change first. What count_documents leaves out is left out here.
SELECT j.document_id, j.source, j.status, extract(epoch FROM now() - j.state_since)::float8 AS seconds,
       j.attempt, j.claimed_by AS worker, extract(epoch FROM nullif(greatest(j.run_at, now()), now()) - now())::float8
         AS due_in,
       j.last_error ->> 'code' AS code, j.last_error ->> 'what' AS what, j.last_error ->> 'why' AS why,
       j.last_error ->> 'remedy' AS remedy
  FROM docproc.upload_jobs j
 WHERE j.status = ANY (%(states)s) AND j.user_id NOT LIKE 'docproc-trial-%%'
   AND (%(only)s::text IS NULL OR j.user_id = %(only)s)
   AND (%(code)s::text IS NULL OR j.last_error ->> 'code' = %(code)s)
   AND (%(since)s::float8 IS NULL OR j.state_since > now() - make_interval(secs => %(since)s))
   AND (%(source)s::text IS NULL OR strpos(lower(j.source), lower(%(source)s)) > 0)
   AND (NOT j.is_final
     OR NOT EXISTS (SELECT FROM docproc.upload_jobs newer WHERE newer.document_id = j.document_id
                       AND (newer.created_at, newer.job_id) > (j.created_at, j.job_id))
    AND EXISTS (SELECT FROM docproc.sources s WHERE s.document_id = j.document_id AND s.withdrawn_at IS NULL))
 ORDER BY j.state_since DESC, j.source LIMIT %(limit)s
