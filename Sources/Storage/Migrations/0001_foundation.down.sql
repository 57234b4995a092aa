drop table tier_limits;
drop table installation;
drop function needletail_cluster_id();
drop function needletail_isolate(regclass);
drop function needletail_deny();
drop function needletail_touch();
drop function needletail_refuse(text);
drop function needletail_refuse(text, jsonb, anyelement);
drop function needletail_organization_id();

-- The roles go with the last database that uses them.
do $$
declare
    role_name text;
begin
    foreach role_name in array
        array['needletail_owner', 'needletail_app', 'needletail_maintenance']
    loop
        execute format('drop owned by %I restrict', role_name);
        begin
            execute format('drop role %I', role_name);
        exception
            when dependent_objects_still_exist then null;
        end;
    end loop;
end;
$$;
