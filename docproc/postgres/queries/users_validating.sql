-- Users one of whose documents is validated right now: it may be about to name another's parse as its own.
SELECT DISTINCT user_id FROM docproc.upload_jobs WHERE claimed_by IS NOT NULL AND status = ANY (%(states)s)
