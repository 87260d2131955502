-- Only what is of the model in service is shown; another waits for the switch. The row is locked against a switch.
WITH serving AS MATERIALIZED (
  SELECT user_id, embed_model, embed_version
    FROM docproc.serving
   WHERE user_id IN (SELECT user_id FROM docproc.upload_jobs WHERE job_id = ANY (%(job_ids)s))
   ORDER BY user_id
     FOR SHARE
)
UPDATE docproc.sources s
   SET live_job_id = j.job_id
  FROM docproc.upload_jobs j
  JOIN serving v ON v.user_id = j.user_id AND v.embed_model = j.embed_model AND v.embed_version = j.embed_version
 WHERE j.job_id = ANY (%(job_ids)s) AND s.user_id = j.user_id AND s.document_id = j.document_id
   AND s.live_job_id IS DISTINCT FROM j.job_id
