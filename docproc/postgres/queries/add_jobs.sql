-- A job for every document that has none with this target. What another job of the document has reached is not done
-- again: a new model begins at the stored chunks, a new chunker at the validated parse.
WITH wanted AS MATERIALIZED (
  SELECT DISTINCT ON (document_id) *
    FROM jsonb_to_recordset(%(sources)s::jsonb)
      AS s (document_id uuid, uri text, extension text, raw_path text, raw_sha text, raw_bytes bigint, n integer)
   ORDER BY document_id, n
), earlier AS (
  SELECT DISTINCT ON (j.document_id) j.document_id, j.parsed_path, j.parsed_sha, j.progress,
         j.chunks_version = %(chunks_version)s AND j.status = ANY (%(with_chunks)s) AS is_chunked
    FROM wanted w
    JOIN docproc.upload_jobs j ON j.document_id = w.document_id AND j.parsed_sha IS NOT NULL
   ORDER BY j.document_id, is_chunked DESC, j.created_at DESC
), made AS (
  INSERT INTO docproc.upload_jobs (document_id, user_id, status, source, extension, raw_path, raw_sha, raw_bytes,
                                   parsed_path, parsed_sha, progress, chunks_version, embed_model, embed_version,
                                   priority)
  SELECT w.document_id, %(user)s,
         CASE WHEN e.is_chunked THEN %(chunked)s WHEN e.is_chunked IS NOT NULL THEN %(validated)s ELSE %(initial)s END,
         w.uri, w.extension, w.raw_path, w.raw_sha, w.raw_bytes, e.parsed_path, e.parsed_sha,
         CASE WHEN e.is_chunked THEN e.progress || '{"embeds_done": 0}'
              ELSE coalesce(e.progress, '{}') - '{chunks_total,chunks_done,chunks_written,embeds_total,embeds_done}'::text[]
         END,
         %(chunks_version)s, %(embed_model)s, %(embed_version)s, %(priority)s
    FROM wanted w LEFT JOIN earlier e ON e.document_id = w.document_id
   ORDER BY w.document_id
  ON CONFLICT (document_id, chunks_version, embed_model, embed_version) DO NOTHING
  RETURNING job_id, document_id, status
), told AS (
  INSERT INTO docproc.job_events (job_id, to_status, worker) SELECT job_id, status, %(owner)s FROM made
)
SELECT document_id FROM made
