# Ruby's mail library, which Rails sends with.
require 'mail'
stem, sender, file = ARGV
Mail.defaults { delivery_method :sendmail }
Mail.deliver do
  from "Shop <#{sender}>"
  to ["#{stem}-one@example.test", "Kunde Grün <#{stem}-two@example.test>"]
  bcc "#{stem}-bcc@example.test"
  subject 'Ruby mail'
  self.charset = 'utf-8'
  body File.read(file)
end
