'use strict';

const { Inject, Injectable } = require('@nestjs/common');
const { SluiceApplication } = require('./application');

/** Stands before routes: as a provider of `APP_GUARD` before all, by `@UseGuards` before some. */
class SluiceGuard {
  #application;

  constructor(application) {
    this.#application = application;
  }

  canActivate(context) {
    return this.#application.admits(context);
  }
}

Injectable()(SluiceGuard);
Inject(SluiceApplication)(SluiceGuard, undefined, 0);

module.exports = { SluiceGuard };
