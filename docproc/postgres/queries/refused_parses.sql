-- The jobs whose parse was judged and refused, with what was seen of its pages.
SELECT job_id, extension, progress FROM docproc.upload_jobs
 WHERE failed_from = %(judged)s AND last_error ->> 'code' LIKE 'validate.%%'
