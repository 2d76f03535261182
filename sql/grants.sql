-- Who may do what: one role a folder of sql/, granted in its files. Here: the schema, and the owner of the functions.

grant usage on schema postroad to postroad_sender, postroad_consumer, postroad_worker, postroad_webhook, postroad_admin, postroad_reader, postroad_http,
  postroad_functions, postroad_bound_functions;

-- Functions belong to a role that owns no table and may do just what they do.
revoke all on all tables in schema postroad from public;
revoke all on all functions in schema postroad from public;
-- Helpers of views run with the rights of whoever looks.
grant execute on function postroad.uuid_at to postroad_reader, postroad_admin;
grant execute on function postroad.created_at to postroad_reader, postroad_admin, postroad_sender;
-- So does enqueue_bulk_from, which reads a table of its caller's.
grant execute on function postroad.normalize_recipient, postroad.normalize_email, postroad.normalize_other_email, postroad.normalize_domain, postroad.fold_domain, postroad.u_label,
  postroad.normalize_phone, postroad.is_push_subscription, postroad.is_bigint, postroad.is_jsonb
  to postroad_sender;
grant select, insert, delete, update on all tables in schema postroad to postroad_functions;
revoke all on postroad.refinery_schema_history from postroad_functions;
grant select on postroad.refinery_schema_history to postroad_worker, postroad_webhook, postroad_http;   -- processes ask whether they fit the schema
grant usage, select, update on all sequences in schema postroad to postroad_functions;

-- What reads and changes on behalf of callers who may be bound to a tenant belongs to a role that row-level security binds, and that may touch no more than this:
-- never a partition, where the policies of its table do not hold.
grant select on postroad.messages, postroad.messages_kept, postroad.bulk_transactions, postroad.message_queue, postroad.scheduled, postroad.delivery_events, postroad.suppression_list,
  postroad.api_keys, postroad.audit_log, postroad.api_routes, postroad.http_idempotency, postroad.pauses, postroad.channel_health, postroad.gateway_states,
  postroad.gateway_minutes, postroad.worker_sessions, postroad.gateway_routes, postroad.ip_pools, postroad.sms_prices, postroad.queue_stats, postroad.event_consumers, postroad.outbound_stats,
  postroad.message_queue_p0, postroad.message_queue_p1, postroad.message_queue_p2, postroad.message_queue_p3, postroad.message_queue_p4   -- ids alone: explain counts them
  to postroad_bound_functions;
grant insert on postroad.message_queue, postroad.scheduled, postroad.delivery_events, postroad.suppression_list, postroad.api_keys, postroad.audit_log, postroad.http_idempotency,
  postroad.system_events to postroad_bound_functions;
grant update on postroad.suppression_list, postroad.api_keys to postroad_bound_functions;
grant delete on postroad.message_queue, postroad.scheduled, postroad.suppression_list, postroad.http_idempotency to postroad_bound_functions;
grant usage, select on postroad.queue_seq_p0, postroad.queue_seq_p1, postroad.queue_seq_p2, postroad.queue_seq_p3, postroad.queue_seq_p4,
  postroad.queue_floor_p0, postroad.queue_floor_p1, postroad.queue_floor_p2, postroad.queue_floor_p3, postroad.queue_floor_p4, postroad.event_id_seq
  to postroad_bound_functions;

-- Endpoints that sql/ no longer has.
delete from postroad.api_routes as r
where r.seeded <> pg_current_xact_id();

do $$
declare
  routine regprocedure;
  home text;
begin
  grant create on schema postroad to postroad_functions, postroad_bound_functions;
  for routine, home in
    select p.oid::regprocedure, o.home
    from pg_proc as p, lateral (
      select case
        when has_function_privilege('postroad_http', p.oid, 'execute')
          or p.proname = any ('{status,timeline,explain,bulk_status,message_report,cancel,cancel_bulk,convert,retry,retry_failed,settle,suppress,unsuppress,create_api_key,revoke_api_key,list_api_keys,audit_trail}')
          then 'postroad_bound_functions'
        else 'postroad_functions'
      end
    ) as o (home)
    where p.pronamespace = 'postroad'::regnamespace
      and p.proname not in ('create_partitions', 'drop_partitions', 'summarize_events')      -- DDL: theirs is the owner of the tables
      and p.proowner <> o.home::regrole
  loop
    execute format('alter function %s owner to %I', routine, home);
  end loop;
  revoke create on schema postroad from postroad_functions, postroad_bound_functions;
  for routine in                                 -- it calls the others; not what workers call
    select p.oid::regprocedure
    from pg_proc as p
    where p.pronamespace = 'postroad'::regnamespace
      and not has_function_privilege('postroad_worker', p.oid, 'execute')
  loop
    execute format('grant execute on function %s to postroad_bound_functions', routine);
  end loop;
  for routine in                                 -- and the other way round, but for endpoints
    select p.oid::regprocedure
    from pg_proc as p
    where p.pronamespace = 'postroad'::regnamespace
      and p.proowner = 'postroad_bound_functions'::regrole
      and not has_function_privilege('postroad_http', p.oid, 'execute')
  loop
    execute format('grant execute on function %s to postroad_functions', routine);
  end loop;
end;
$$;
