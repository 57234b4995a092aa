-- A user goes after all that binds them: also after what another transaction held for a while.
set local role needletail_owner;

-- Removes a batch of users whom nothing binds any more to an organization, a project or a key:
-- what was passed over, because it was locked or could not be seen yet, is found once more, and
-- the audit logs tell of them when it goes. Of those to whom other rows refer, all that is known
-- of them goes and the id stays.
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
        select ended.id, ended.kind from users as ended
        where
            ended.purge_after < before and ended.deleted_at is not null
            and not exists (select from organization_memberships where user_id = ended.id)
            and not exists (select from project_members where user_id = ended.id)
            and not exists (select from api_keys where user_id = ended.id)
        order by ended.purge_after
        limit least(batch_size, 100)
        for update of ended skip locked
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
