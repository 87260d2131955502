SELECT raw_path AS uri FROM docproc.upload_jobs
UNION
SELECT parsed_path FROM docproc.upload_jobs WHERE parsed_path IS NOT NULL
UNION
-- A parse that is about to be recorded, or whose canonical path is another's, is stored under the job's own id.
SELECT format('storage://parsed/%s/%s.md', user_id, document_id) FROM docproc.upload_jobs
