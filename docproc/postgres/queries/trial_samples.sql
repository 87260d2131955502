-- What became of every source of one user: the states it passed and how long it stood in each, its chunks, its vectors.
SELECT s.uri, j.status, j.last_error ->> 'code' AS code, j.progress, e.states, e.seconds,
       EXISTS (SELECT FROM docproc.parse_calls p WHERE p.document_id = j.document_id) AS paid,
       coalesce(c.chunks, 0) AS chunks, coalesce(c.tokens, 0) AS tokens, c.texts,
       coalesce(v.vectors, 0) AS vectors, coalesce(v.dimensions, '{}') AS dimensions,
       (SELECT count(*) FROM docproc.document_search d WHERE d.source_id = s.source_id) AS shown
  FROM docproc.sources s
  JOIN docproc.upload_jobs j ON j.document_id = s.document_id
  CROSS JOIN LATERAL (
    SELECT array_agg(step.to_status ORDER BY step.first) AS states,
           jsonb_object_agg(step.from_status, step.seconds) FILTER (WHERE step.from_status IS NOT NULL) AS seconds
      FROM (SELECT from_status, to_status, min(event_id) AS first, sum(seconds) AS seconds
              FROM docproc.job_events
             WHERE job_id = j.job_id AND from_status IS DISTINCT FROM to_status
             GROUP BY from_status, to_status) step
  ) e
  CROSS JOIN LATERAL (
    SELECT count(*) AS chunks, sum(tokens) AS tokens, md5(string_agg(chunk_sha, ' ' ORDER BY chunk_ord)) AS texts
      FROM docproc.document_chunk_buffer WHERE document_id = j.document_id
  ) c
  CROSS JOIN LATERAL (
    SELECT count(*) AS vectors, array_agg(DISTINCT vector_dims(vector)) AS dimensions
      FROM docproc.document_vector_buffer b
     WHERE b.chunk_id IN (SELECT chunk_id FROM docproc.document_chunk_buffer WHERE document_id = j.document_id)
  ) v
 WHERE s.user_id = %(user)s
 ORDER BY s.uri
