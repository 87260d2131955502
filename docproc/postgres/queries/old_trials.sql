SELECT user_id FROM docproc.upload_jobs
 WHERE user_id LIKE %(pattern)s
 GROUP BY user_id
HAVING max(updated_at) < clock_timestamp() - make_interval(secs => %(seconds)s)
