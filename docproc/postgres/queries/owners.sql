SELECT DISTINCT claimed_by FROM docproc.upload_jobs WHERE claimed_by IS NOT NULL
