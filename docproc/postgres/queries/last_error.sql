SELECT last_error FROM docproc.upload_jobs WHERE job_id = %(job_id)s
