-- From that time on counts how long it is kept: one that lies before the job itself would have it deleted too early.
SELECT count(*) || ' jobs are marked as superseded before they were made, such as ' || min(j.job_id::text) AS problem
  FROM docproc.upload_jobs j
 WHERE j.superseded_at < j.created_at
HAVING count(*) > 0
