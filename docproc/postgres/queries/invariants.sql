-- What must hold at every moment, whatever died: one row for each invariant that something breaks, with an example.
WITH broken (invariant, what, example) AS (
  SELECT 'I1', 'a source without a job for its document', s.uri
    FROM docproc.sources s
   WHERE NOT EXISTS (SELECT FROM docproc.upload_jobs j WHERE j.document_id = s.document_id)
  UNION ALL
  SELECT 'I2', 'ordinals of a document''s chunks with gaps', c.document_id::text
    FROM docproc.document_chunk_buffer c
   GROUP BY c.document_id, c.chunker_name, c.chunker_version
  HAVING min(c.chunk_ord) <> 0 OR max(c.chunk_ord) <> count(*) - 1
  UNION ALL
  SELECT 'I3', 'a complete job without a vector for every chunk', j.job_id::text
    FROM docproc.upload_jobs j
   WHERE j.status = 'complete'
     AND (NOT EXISTS (SELECT FROM docproc.document_chunk_buffer c WHERE c.document_id = j.document_id
                         AND c.chunker_name || '@' || c.chunker_version = j.chunks_version)
          OR EXISTS (SELECT FROM docproc.document_chunk_buffer c
                      WHERE c.document_id = j.document_id
                        AND c.chunker_name || '@' || c.chunker_version = j.chunks_version
                        AND NOT EXISTS (SELECT FROM docproc.document_vector_buffer v
                                         WHERE v.chunk_id = c.chunk_id AND v.embed_model = j.embed_model
                                           AND v.embed_version = j.embed_version AND v.embed_sha = c.embed_sha)))
  UNION ALL
  SELECT 'I3', 'vectors of one model and version with several dimensions', min(v.embed_model)
    FROM docproc.document_vector_buffer v
   GROUP BY v.embed_model, v.embed_version
  HAVING min(vector_dims(v.vector)) <> max(vector_dims(v.vector))
  UNION ALL
  SELECT 'I3', 'a live source whose job is not complete', s.uri
    FROM docproc.sources s JOIN docproc.upload_jobs j ON j.job_id = s.live_job_id
   WHERE j.status <> 'complete'
  UNION ALL
  SELECT 'I3', 'a live source with another model than its user is searched with', s.uri
    FROM docproc.sources s
    JOIN docproc.upload_jobs j ON j.job_id = s.live_job_id
    LEFT JOIN docproc.serving v ON v.user_id = s.user_id
   WHERE s.withdrawn_at IS NULL
     AND (j.embed_model, j.embed_version) IS DISTINCT FROM (v.embed_model, v.embed_version)
  UNION ALL
  SELECT 'I4', 'a document submitted more often than allowed', p.document_id::text
    FROM docproc.parse_calls p WHERE p.submits > %(max_submits)s
  UNION ALL
  SELECT 'I6', 'a lease that ran out more than a lease ago', j.job_id::text
    FROM docproc.upload_jobs j WHERE j.lease_until < clock_timestamp() - make_interval(secs => %(lease)s)
  UNION ALL
  SELECT 'I7', 'a history that does not lead to the present state', j.job_id::text
    FROM docproc.upload_jobs j
   WHERE j.status IS DISTINCT FROM (SELECT e.to_status FROM docproc.job_events e WHERE e.job_id = j.job_id
                                     ORDER BY e.event_id DESC LIMIT 1)
  UNION ALL
  SELECT 'I7', 'a history with a gap, or a fence that goes back', e.job_id::text
    -- The first that is kept may continue what cleanup has removed.
    FROM (SELECT job_id, from_status, fence, lag(to_status) OVER w AS before, lag(fence) OVER w AS fence_before,
                 lag(event_id) OVER w AS event_before
            FROM docproc.job_events WINDOW w AS (PARTITION BY job_id ORDER BY event_id)) e
   WHERE e.event_before IS NOT NULL AND e.from_status IS DISTINCT FROM e.before OR e.fence < e.fence_before
  UNION ALL
  SELECT 'I8', 'a failed job without code or remedy', j.job_id::text
    FROM docproc.upload_jobs j
   WHERE j.failed_from IS NOT NULL
     AND (coalesce(j.last_error ->> 'code', '') = '' OR coalesce(j.last_error ->> 'remedy', '') = '')
  UNION ALL
  SELECT 'I11', 'a counter of money that is not the sum of its calls', m.period
    FROM (SELECT period, usd - removed AS usd FROM docproc.spending
          UNION ALL
          SELECT p.period, -coalesce(a.usd_counted, 0)
            FROM docproc.api_calls a, unnest(docproc.spending_periods(a.started_at, a.budget_group)) AS p (period)) m
   GROUP BY m.period
  HAVING sum(m.usd) <> 0
)
SELECT invariant, what, count(*) AS times, min(example) AS example
  FROM broken GROUP BY invariant, what ORDER BY invariant, what
