'use strict';

const { Catch, HttpException } = require('@nestjs/common');
const { PROBLEM_MEDIA_TYPE } = require('../http/problem');

/** A refused request. The headers of the refusal are on the response already. */
class SluiceException extends HttpException {
  constructor(refusal) {
    super(refusal.problem, refusal.status);
    this.refusal = refusal;
  }
}

/** Answers refused requests with `application/problem+json`; without it Nest sends the same body as `application/json`. */
class SluiceExceptionFilter {
  catch({ refusal }, host) {
    const response = host.switchToHttp().getResponse();
    const isFastify = response.raw !== undefined;
    response.status(refusal.status);
    response.header('Content-Type', PROBLEM_MEDIA_TYPE);
    // Bytes: to a string both would add a charset, which JSON does not have.
    const body = Buffer.from(refusal.body);
    if (isFastify) response.send(response.request.method === 'HEAD' ? undefined : body);
    else response.end(response.req.method === 'HEAD' ? undefined : body);
  }
}

Catch(SluiceException)(SluiceExceptionFilter);

module.exports = { SluiceException, SluiceExceptionFilter };
