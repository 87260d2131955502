-- Since when each job of these documents is one that nothing shows or will: NULL for those that something does. Either
-- no source has the document that is not withdrawn, or another job of it is shown and became so later: a job that is
-- younger than that may still wait for its turn, as one of a new model does for the switch.
WITH jobs AS MATERIALIZED (
  SELECT job_id, document_id, user_id, is_final AND claimed_by IS NULL AS is_at_rest, state_since, superseded_at, raw_bytes
    FROM docproc.upload_jobs WHERE document_id = ANY (%(document_ids)s::uuid[])
), uses AS MATERIALIZED (
  SELECT s.document_id, s.live_job_id, s.withdrawn_at
    FROM docproc.sources s WHERE s.document_id = ANY (%(document_ids)s::uuid[])
  UNION
  SELECT j.document_id, s.live_job_id, s.withdrawn_at
    FROM jobs j JOIN docproc.sources s ON s.live_job_id = j.job_id
), used AS (
  SELECT document_id, bool_or(withdrawn_at IS NULL) AS is_wanted, max(withdrawn_at) AS withdrawn_at
    FROM uses GROUP BY document_id
), live AS (
  SELECT l.document_id, array_agg(l.job_id) AS job_ids, max(l.state_since) AS since
    FROM uses u JOIN jobs l ON l.job_id = u.live_job_id WHERE u.withdrawn_at IS NULL GROUP BY l.document_id
), judged AS (
  SELECT j.*,
         CASE WHEN NOT j.is_at_rest THEN NULL
              WHEN NOT coalesce(used.is_wanted, false)
              THEN greatest(coalesce(j.superseded_at, used.withdrawn_at, statement_timestamp()), used.withdrawn_at, j.state_since)
              WHEN j.job_id <> ALL (live.job_ids) AND j.state_since < greatest(live.since, v.since)
              THEN greatest(coalesce(j.superseded_at, statement_timestamp()), live.since, v.since) END AS since
    FROM jobs j
    LEFT JOIN used ON used.document_id = j.document_id
    LEFT JOIN live ON live.document_id = j.document_id
    LEFT JOIN docproc.serving v ON v.user_id = j.user_id
)
SELECT job_id, document_id, superseded_at, since, raw_bytes,
       extract(epoch FROM statement_timestamp() - since)::float8 AS seconds
  FROM judged ORDER BY document_id, job_id
