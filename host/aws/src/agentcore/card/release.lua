-- Gives a lease back. KEYS: card. ARGV: token, '1' when an event may still land: then the next one reads the stream first.
if redis.call('HGET', KEYS[1], 'l') ~= ARGV[1] then
  return 0
end
if ARGV[2] == '1' then
  redis.call('HSET', KEYS[1], 'u', '0')
  redis.call('HDEL', KEYS[1], 'l')
else
  redis.call('HDEL', KEYS[1], 'l', 'u')
end
return 1
