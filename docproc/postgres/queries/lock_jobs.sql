-- Whatever their state: or one could complete meanwhile without seeing a source that is about to be added.
SELECT job_id FROM docproc.upload_jobs WHERE document_id = ANY (%(document_ids)s) ORDER BY job_id FOR SHARE
