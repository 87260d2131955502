-- What an ingest would make of files, and where a job of a new one would begin: see add_jobs.
SELECT CASE WHEN j.job_id IS NOT NULL AND s.document_id = wanted.document_id AND s.withdrawn_at IS NULL THEN 'unchanged'
            WHEN s.withdrawn_at IS NOT NULL AND s.document_id = wanted.document_id THEN 'returned'
            WHEN j.job_id IS NOT NULL THEN 'duplicate'
            WHEN s.source_id IS NOT NULL THEN 'changed' ELSE 'new' END AS outcome,
       j.job_id IS NOT NULL AS has_job,
       CASE WHEN e.is_chunked THEN %(chunked)s WHEN e.is_chunked IS NOT NULL THEN %(validated)s END AS begins,
       e.parsed_path, e.parsed_sha, e.progress, p.state AS parse_state
  FROM unnest(%(uris)s::text[], %(document_ids)s::uuid[]) WITH ORDINALITY AS wanted (uri, document_id, n)
  LEFT JOIN docproc.sources s ON s.user_id = %(user)s AND s.uri = wanted.uri
  LEFT JOIN docproc.upload_jobs j ON j.document_id = wanted.document_id AND j.chunks_version = %(chunks_version)s
   AND j.embed_model = %(embed_model)s AND j.embed_version = %(embed_version)s
  LEFT JOIN docproc.parse_calls p ON p.document_id = wanted.document_id AND p.parser = %(parser)s
  LEFT JOIN LATERAL (
    SELECT o.parsed_path, o.parsed_sha, o.progress,
           o.chunks_version = %(chunks_version)s AND o.status = ANY (%(with_chunks)s) AS is_chunked
      FROM docproc.upload_jobs o
     WHERE o.document_id = wanted.document_id AND o.parsed_sha IS NOT NULL
     ORDER BY is_chunked DESC, o.created_at DESC LIMIT 1) e ON true
 ORDER BY wanted.n
