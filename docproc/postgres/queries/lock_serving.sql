SELECT 1 FROM docproc.serving WHERE user_id = %(user)s FOR UPDATE
