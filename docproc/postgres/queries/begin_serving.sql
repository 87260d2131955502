-- The first document of a user to be complete decides with which model the user is searched, until a switch.
INSERT INTO docproc.serving (user_id, embed_model, embed_version)
SELECT DISTINCT ON (user_id) user_id, embed_model, embed_version
  FROM docproc.upload_jobs
 WHERE job_id = ANY (%(job_ids)s)
 ORDER BY user_id, created_at, job_id
ON CONFLICT (user_id) DO NOTHING
