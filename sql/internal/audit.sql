create or replace function postroad.audit(
  action text,
  target text,
  before jsonb default null,
  after  jsonb default null
)
returns void
language plpgsql
volatile
as $$
begin
  insert into postroad.audit_log (tenant_id, who, action, target, before, after)
  values (nullif(current_setting('postroad.tenant', true), '')::bigint,
    coalesce(nullif(current_setting('postroad.caller', true), ''), session_user), action, target, before, after);
end;
$$;

comment on function postroad.audit is
$$Notes a change by an operator, in its transaction: who is the caller of the HTTP API (the setting postroad.caller, which begin_call makes), or else the database user, who is
noted in any case.$$;
