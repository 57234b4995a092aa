-- As before.
set local role needletail_owner;

-- Removes a batch of users. Of those to whom rows refer, all that is known of them goes and the id
-- stays.
create or replace function needletail_purge_users(
    before timestamptz, batch_size bigint
) returns bigint
language plpgsql
set search_path = public, pg_temp
as $$
declare
    doomed record;
    removed bigint := 0;
begin
    for doomed in
        select id, kind from users
        where purge_after < before and deleted_at is not null
        order by purge_after
        limit least(batch_size, 100)
        for update skip locked
    loop
        begin
            delete from users where id = doomed.id;
        exception
            when foreign_key_violation or restrict_violation then
                delete from user_identities where user_id = doomed.id;
                update users
                set
                    email = case doomed.kind
                        when 'person' then 'deleted-' || doomed.id || '@invalid'
                    end,
                    password_hash = null, display_name = 'Deleted user', first_name = null,
                    last_name = null, avatar_url = null, settings = '{}', is_active = false,
                    is_platform_admin = false, email_verified_at = null, last_login_at = null,
                    purge_after = null
                where id = doomed.id;
        end;
        removed := removed + 1;
    end loop;
    return removed;
end;
$$;
