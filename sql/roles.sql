-- What a dump of the database does not bring to another cluster, or one restored without its roles has lost: applied before everything else.

-- Roles belong to the cluster: another database of it may have made them, at this very moment too.
do $$
declare
  role text;
  -- From Postgres 16 on, whoever made a role may grant it, which is all that its membership says.
  membership constant text := case when current_setting('server_version_num')::integer < 160000 then 'member' else 'set' end;
begin
  foreach role in array array[
    'postroad_sender', 'postroad_consumer', 'postroad_worker', 'postroad_webhook', 'postroad_admin', 'postroad_reader', 'postroad_http',
    'postroad_functions', 'postroad_bound_functions'
  ] loop
    if not exists (select from pg_roles as r where r.rolname = role) then
      begin
        execute format('create role %I nologin', role);
      exception
        when duplicate_object or unique_violation then null;
      end;
    end if;
  end loop;
  -- To replace functions and to hand them over. Not granted again: others than those who made the roles may not, and two databases that migrate at once would meet
  -- in the catalog of roles.
  for role in
    select u.role
    from unnest('{postroad_functions,postroad_bound_functions}'::text[]) as u (role)
    where not pg_has_role(current_user, u.role, membership)
  loop
    begin
      execute format('grant %I to %I', role, current_user);
    exception
      when insufficient_privilege then
        raise exception '% must be a member of the roles that functions belong to, and another user made them; as that one or a superuser: grant postroad_functions, postroad_bound_functions to %',
          current_user, quote_ident(current_user)
          using errcode = 'insufficient_privilege';
    end;
  end loop;
end;
$$;

-- The boundary between tenants. The setting postroad.tenant of the transaction says to which tenant a caller is bound; functions that read and change
-- on behalf of callers belong to postroad_bound_functions, which these policies bind: a filter that one of them forgets shows nothing of another tenant.
-- postroad_functions owns the rest (enqueue, and what workers call), and sees all.
do $$
declare
  bound constant text := $s$nullif(current_setting('postroad.tenant', true), '')$s$;
  relation regclass;
  is_own text;
begin
  for relation, is_own in
    select x.relation, format('tenant_id = %s::bigint', bound)
    from unnest('{postroad.messages,postroad.messages_kept,postroad.suppression_list,postroad.api_keys,postroad.audit_log}'::regclass[]) as x (relation)
    union all
    select x.relation, format(
      'exists (select from postroad.messages as m where m.message_id = %1$s.message_id) or exists (select from postroad.messages_kept as k where k.message_id = %1$s.message_id)',
      x.relation)
    from unnest('{postroad.message_queue,postroad.scheduled,postroad.delivery_events}'::regclass[]) as x (relation)
  loop
    if not (select c.relrowsecurity from pg_class as c where c.oid = relation) then
      execute format('alter table %s enable row level security', relation);
    end if;
    if not exists (select from pg_policy as p where p.polrelid = relation and p.polname = 'everything') then
      execute format('create policy everything on %s to postroad_functions using (true) with check (true)', relation);
    end if;
    if not exists (select from pg_policy as p where p.polrelid = relation and p.polname = 'own_tenant') then
      execute format('create policy own_tenant on %1$s to postroad_bound_functions using (%2$s is null or %3$s) with check (%2$s is null or %3$s)',
        relation, bound, is_own);
    end if;
  end loop;
end;
$$;
