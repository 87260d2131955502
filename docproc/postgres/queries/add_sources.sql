-- A changed file points at its new document at once, but readers see the old version until the new one is complete;
-- unless it had been withdrawn: what was shown then is not shown again. The jobs are locked already, by the statement
-- before, so that what is read here is their latest state.
WITH wanted AS MATERIALIZED (
  SELECT DISTINCT ON (uri) *
    FROM jsonb_to_recordset(%(sources)s::jsonb) AS s (document_id uuid, uri text, n integer)
   ORDER BY uri, n DESC
), before AS MATERIALIZED (
  SELECT s.uri, s.document_id FROM docproc.sources s JOIN wanted w ON w.uri = s.uri
   WHERE s.user_id = %(user)s AND s.withdrawn_at IS NOT NULL
), serving AS MATERIALIZED (
  SELECT embed_model, embed_version FROM docproc.serving WHERE user_id = %(user)s FOR SHARE
), live AS (
  SELECT DISTINCT ON (j.document_id) j.document_id, j.job_id
    FROM docproc.upload_jobs j
    JOIN serving v ON v.embed_model = j.embed_model AND v.embed_version = j.embed_version
   WHERE j.status = %(complete)s AND j.document_id IN (SELECT document_id FROM wanted)
   ORDER BY j.document_id, (j.chunks_version = %(chunks_version)s) DESC, j.created_at DESC
), added AS (
  INSERT INTO docproc.sources AS s (user_id, uri, document_id, live_job_id)
  SELECT %(user)s, w.uri, w.document_id, live.job_id
    FROM wanted w LEFT JOIN live ON live.document_id = w.document_id
   ORDER BY w.uri
  ON CONFLICT (user_id, uri) DO UPDATE
     SET document_id = excluded.document_id,
         live_job_id = coalesce(excluded.live_job_id, CASE WHEN s.withdrawn_at IS NULL THEN s.live_job_id END),
         changed_at = clock_timestamp(),
         withdrawn_at = NULL
  RETURNING uri, document_id, (xmax = 0) AS is_new
)
SELECT a.uri, a.is_new, coalesce(b.document_id = a.document_id, false) AS is_back
  FROM added a LEFT JOIN before b ON b.uri = a.uri
