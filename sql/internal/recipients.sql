create or replace function postroad.normalize_recipient(channel text, recipient text)
returns text
language sql
immutable
as $$
  select case channel
    when 'email' then postroad.normalize_email(recipient)
    when 'sms' then postroad.normalize_phone(recipient)
    when 'voice' then postroad.normalize_phone(recipient)
    when 'push' then case
      when btrim(recipient) like '{%' and length(recipient) <= 4096 and recipient ~ '^[^[:cntrl:]]+$'
        and postroad.is_push_subscription(btrim(recipient)) then btrim(recipient)
      when btrim(recipient) ~ '^[A-Za-z0-9_:%.+=/~-]+$' and length(recipient) <= 4096 then btrim(recipient)
    end
    when 'in_app' then case
      when length(btrim(recipient)) between 1 and 255 and recipient ~ '^[^[:cntrl:]]+$' then btrim(recipient)
    end
    when 'webhook' then case
      when length(recipient) <= 2048 and btrim(recipient) ~ E'^https?://[^\\s/?#@[:cntrl:]]+([/?#][^\\s[:cntrl:]]*)?$' then btrim(recipient)
    end
  end
$$;

comment on function postroad.normalize_recipient is
$$The one spelling of a recipient, or null when it is none: an email address; an E.164 number for sms and voice; for push a
device token of up to 4,096 characters or a Web Push subscription as JSON; for in_app a name of up to 255 characters; for webhook an
http or https URL of up to 2,048 characters without user and password.$$;

create or replace function postroad.normalize_email(address text)
returns text
language sql
immutable parallel safe
as $$
  select case
    -- Nearly all: plain ASCII, spelled as we spell it, and short enough for every limit at once.
    when octet_length(address) <= 64
      and address ~ '^[A-Za-z0-9_+&=!#$%*/?^{|}~''-]+([.][A-Za-z0-9_+&=!#$%*/?^{|}~''-]+)*@([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])+[a-z0-9]([a-z0-9-]*[a-z0-9])?$'
    then address
    else postroad.normalize_other_email(address)
  end
$$;

comment on function postroad.normalize_email is
$$An email address with its domain in lower case (whatever the locale of the database; see normalize_other_email), or null when it is none: a dot-atom of up to 64 bytes (RFC 5321, section 4.5.3.1.1),
a domain of letter-digit-hyphen labels of up to 63 with at least one dot (or localhost), 254 bytes in all. Letters may be of any script, in any database.
Quoted local parts and address literals are not accepted.$$;

create or replace function postroad.normalize_other_email(address text)
returns text
language sql
immutable parallel safe
as $$
  select case
    -- No space, control or invisible mark of any script; by code point, for the locale of the database must have no say.
    when octet_length(address) <= 1000            -- blanks around it included
      and address !~ E'[\\u0080-\\u00a0\\u00ad\\u1680\\u2000-\\u200f\\u2028-\\u202f\\u205f-\\u206f\\u3000\\ufeff\\ufff0-\\uffff]'
      and btrim(address, E' \t\r\n') ~ '^[^@]+@[^@]+$'
    then (
      select case
        when a.address ~ E'^[^]\\u0001-\\u0020\\u007f"(),:;<>@[\\\\.]+(\\.[^]\\u0001-\\u0020\\u007f"(),:;<>@[\\\\.]+)*@([A-Za-z0-9\\u0080-\\U0010ffff]([A-Za-z0-9\\u0080-\\U0010ffff-]*[A-Za-z0-9\\u0080-\\U0010ffff])?\\.)*[A-Za-z0-9\\u0080-\\U0010ffff]([A-Za-z0-9\\u0080-\\U0010ffff-]*[A-Za-z0-9\\u0080-\\U0010ffff])?$'
          and octet_length(a.address) <= 254
          and (position('.' in split_part(a.address, '@', 2)) > 0 or split_part(a.address, '@', 2) = 'localhost')
          and octet_length(split_part(a.address, '@', 1)) <= 64
          and split_part(a.address, '@', 2) !~ '[^.]{64}'
        then a.address
      end
      from (                                     -- letters that a lookup of the domain takes for others (UTS 46) are those others
        select split_part(t.text, '@', 1) || '@' || lower(translate(normalize(split_part(t.text, '@', 2), nfkc),
          'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĴĶĹĻĽŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽΆΈΉΊΌΎΏΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ',
          'àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĵķĺļľłńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżžάέήίόύώαβγδεζηθικλμνξοπρστυφχψωϊϋѐёђѓєѕіїјљњћќѝўџабвгдежзийклмнопрстуфхцчшщъыьэюя') collate "C") as address
        from (select btrim(address, E' \t\r\n')) as t (text)
      ) as a
    )
  end
$$;

comment on function postroad.normalize_other_email is
$$normalize_email for an address that is not plain ASCII in our spelling. Its domain is written in the letters that stand for it: full-width and other compatibility forms as plain ones (NFKC), the capitals of
Latin, Greek and Cyrillic small. The A-label of a domain (xn--…) stays another spelling.$$;

create or replace function postroad.is_push_subscription(subscription text)
returns boolean
language plpgsql
immutable
as $$
begin
  return coalesce(subscription::jsonb ->> 'endpoint' ~ E'^https://[^\\s/?#@]+([/?#]\\S*)?$', false);
exception
  when others then                               -- no JSON
    return false;
end;
$$;

comment on function postroad.is_push_subscription is 'Whether a text is a Web Push subscription: a JSON object whose endpoint is an https URL.';

create or replace function postroad.normalize_phone(number text)
returns text
language sql
immutable parallel safe
as $$
  select case
    when n.digits ~ '^[+][1-9][0-9]{6,14}$' then n.digits
  end
  from (select case when octet_length(number) <= 255 then regexp_replace(regexp_replace(btrim(number), '[ ().-]', '', 'g'), '^00', '+') end) as n (digits)
$$;

comment on function postroad.normalize_phone is
$$An E.164 number: + and 7 to 15 digits, of which the first is not 0; or null when it is none. Spaces, dots, hyphens and parentheses
are taken out, a leading 00 is read as +; with them it has up to 255 bytes. A number without country code is none: which country would it be?$$;

create or replace function postroad.suppression_key(channel text, recipient text)
returns text
language sql
immutable parallel safe
as $$
  select case when channel = 'email' then lower(recipient collate "C") else recipient end
$$;

comment on function postroad.suppression_key is 'How suppression_list writes a normalised recipient: an email address in lower case, others as they are.';

create or replace function postroad.is_bigint(number text)
returns boolean
language sql
immutable parallel safe
as $$
  select case
    when number ~ '^-?[0-9]{1,18}$' then true
    when number ~ '^-?[0-9]{19}$' then number::numeric between -9223372036854775808 and 9223372036854775807
    else number is null
  end
$$;

comment on function postroad.is_bigint is 'Whether an id that came as text is a whole number of 64 bits, or null.';

create or replace function postroad.is_jsonb(document text)
returns boolean
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return document::jsonb is not null or document is null;
exception
  when others then
    return false;
end;
$$;

comment on function postroad.is_jsonb is 'Whether data that came as text is JSON that Postgres can store, or null.';
