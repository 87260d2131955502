UPDATE docproc.sources SET live_job_id = %(job_id)s WHERE user_id = %(user)s AND document_id = %(document_id)s
