SELECT current_setting('server_version_num')::integer AS number, current_setting('server_version') AS version
