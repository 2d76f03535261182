-- Who may do what: one role a folder of sql/, granted in its files. Here: the schema, and the owner of the functions.

grant usage on schema postroad to postroad_sender, postroad_consumer, postroad_worker, postroad_webhook, postroad_admin, postroad_reader, postroad_functions;

-- Functions belong to a role that owns no table and may do just what they do.
revoke all on all tables in schema postroad from public;
revoke all on all functions in schema postroad from public;
-- Helpers of views run with the rights of whoever looks.
grant execute on function postroad.uuid_at to postroad_reader, postroad_admin;
grant execute on function postroad.created_at to postroad_reader, postroad_admin, postroad_sender;
-- So does enqueue_bulk_from, which reads a table of its caller's.
grant execute on function postroad.normalize_recipient, postroad.normalize_email, postroad.normalize_phone, postroad.is_push_subscription, postroad.is_bigint
  to postroad_sender;
grant select, insert, delete, update on all tables in schema postroad to postroad_functions;
revoke all on postroad.refinery_schema_history from postroad_functions;
grant usage, select, update on all sequences in schema postroad to postroad_functions;

do $$
declare
  routine regprocedure;
begin
  if not (select r.rolsuper from pg_roles as r where r.rolname = current_user) then   -- two databases that migrate at once would meet in the catalog of roles
    execute format('grant postroad_functions to %I', current_user);
  end if;
  grant create on schema postroad to postroad_functions;
  for routine in
    select p.oid::regprocedure
    from pg_proc as p
    where p.pronamespace = 'postroad'::regnamespace
      and p.proname not in ('create_partitions', 'drop_partitions', 'summarize_events')      -- DDL: theirs is the owner of the tables
      and p.proowner <> 'postroad_functions'::regrole
  loop
    execute format('alter function %s owner to postroad_functions', routine);
  end loop;
  revoke create on schema postroad from postroad_functions;
end;
$$;
